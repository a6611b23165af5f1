"""A deep-learning framework of our own: tensor arithmetic only, no autograd, no torch.nn.

Read it in this order: `modules`, `losses`, `sgd`; `training.scratch` trains models with it.
"""
