"""The kinds of rewards: what each is asked at redemption, and what it promises."""
