"""What the kept figures mean. Pure.

A purchase is a sale of which something was kept. Scores are quintiles among those who ever bought: with r of n
buyers strictly below somebody, the score is 1 + floor(5 r / n), so that equals share a score and 5 is the best.
Recency goes by the last purchase; frequency and monetary by number and amount over the last `YEAR_DAYS`.

The lifecycle is the first that applies:

    lapsed      nothing bought for more than `LAPSED_DAYS`, or nothing ever and enrolled more than `NEW_DAYS` ago
    at_risk     nothing bought for more than `AT_RISK_DAYS`
    new         first purchase at most `NEW_DAYS` ago, or none yet
    champion    all three scores at least `CHAMPION_SCORE`
    regular     everybody else
"""

from typing import Final

SCORES: Final = 5
YEAR_DAYS: Final = 365
LAPSED_DAYS: Final = 365
AT_RISK_DAYS: Final = 180
NEW_DAYS: Final = 90
CHAMPION_SCORE: Final = 4
LIFECYCLES: Final = ("new", "regular", "champion", "at_risk", "lapsed")
