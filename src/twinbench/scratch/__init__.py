"""A deep-learning framework of our own: tensor arithmetic only, no autograd, no torch.nn; and its disc task.

Read it in this order: `modules`, `losses`, `sgd`, `train`.
"""
