"""Fashion-MNIST: Zalando's articles, by Xiao, Rasul and Vollgraf (2017), arXiv:1708.07747. MIT licence."""

from twinbench.data.dataset import Dataset

DATASET = Dataset(
    name="fashion-mnist",
    title="Fashion-MNIST",
    torchvision="FashionMNIST",
    checksums={  # torchvision's own
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    classes=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    order="The classes have no order of their own; their index serves as one.",
)
