"""Small steps in the shape of the real ones, for tests of the engine."""
