def relu(x: float) -> float:
    return max(x, 0.0)
