"""A federation of Flower that trains one adapter on nodes of federa and of PyTorch + PEFT."""
