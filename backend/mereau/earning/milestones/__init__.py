"""What happens to members once, or once in a period: joining, a first purchase, a birthday, a lapse."""
