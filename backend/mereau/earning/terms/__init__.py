"""What the programme lays down for everything that earns without a sale."""
