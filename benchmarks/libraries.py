"""Prints the libraries that our side computes with, as JSON."""

from __future__ import annotations

import json
import os
import re

import cv2
import torch

from benchmarks.caffe_peer import mapped_blas


def main() -> None:
    """Prints them."""
    torch.ones(64, 64) @ torch.ones(64, 64)
    configuration = torch.__config__.show()
    mkl = re.search(r"oneAPI Math Kernel Library Version ([\d.]+)", configuration)
    onednn = re.search(r"oneDNN[^v]*(v[\d.]+)", configuration)
    blas = f"MKL {mkl[1]}" if mkl else mapped_blas(os.getpid())
    print(
        json.dumps(
            {
                "torch": str(torch.__version__),
                "threads": torch.get_num_threads(),
                "blas": f"{blas}, oneDNN {onednn[1]}" if onednn else blas,
                "opencv": cv2.__version__,
                "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            }
        )
    )


if __name__ == "__main__":
    main()
