"""Seeds that found something, each with a line that says what: the tests play them for ever.

A seed means a history only as long as the storm knows the same actions; beside each fix stands a test of its own.
"""

FAILED: dict[int, str] = {
    47: "a node that showed no head block for a moment ended the relayer's process with a TypeError",
    201617: "a debit withdrawn with its rejected credit ended the relayer's process, which was about to seal it",
    203610: "redemptions were rejected for want of tokens while the node had forgotten the block of their credit",
    302577: "a reversal was rejected for want of tokens whose credit stood before it in the queue",
    200179: "the same node ended it when it was asked for the price of gas",
}
