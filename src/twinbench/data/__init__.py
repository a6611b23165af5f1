"""From the official MNIST files to seeded pair tables."""
