"""Compare neural architectures on one question: is the first of two MNIST digits ≤ the second?"""
