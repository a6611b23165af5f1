"""Kuzushiji-MNIST: handwritten hiragana, by Clanuwat et al. (2018), arXiv:1812.01718. CC BY-SA 4.0."""

from twinbench.data.dataset import Dataset

DATASET = Dataset(
    name="kmnist",
    title="Kuzushiji-MNIST",
    torchvision="KMNIST",
    checksums={  # torchvision's own
        "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
    },
    # One character of each row of the syllabary, from the a-row to the wa-row.
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    order="Hiragana compare by their place in the Japanese syllabary (gojūon), which is that of their class index.",
)
