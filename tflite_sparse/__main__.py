"""`python -m tflite_sparse` is the command line."""

import sys

from tflite_sparse.cli import main

sys.exit(main())
