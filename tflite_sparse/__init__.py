"""Semi-structured activation sparsity for TFLite / LiteRT."""
