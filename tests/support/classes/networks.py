"""Classes of torch."""

from __future__ import annotations

from support.classes.cases import Library

TORCH = Library(
    "PyTorch",
    """
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset
    def states(a, b):
        a, b = a.state_dict(), b.state_dict()
        return repr(a) == repr(b)
    """,
    "torch.equal(a, b) and a.dtype == b.dtype",
)


def tensors() -> None:
    """Declare torch's tensors, modules and what trains them."""
    lib = TORCH
    lib(
        "x = torch.arange(30000.0)\nview = x[10:]",
        "x[12] = -1; view[0] = 5",
        keeps="view[0] == x[10] == 5 and x.data_ptr() + 40 == view.data_ptr()",
    )
    lib(
        "x = torch.arange(12).reshape(3, 4)\nview = x.t()",
        "view[1, 2] = 99",
        keeps="view.data_ptr() == x.data_ptr() and view[1, 2] == x[2, 1]",
        note="transposed view",
    )
    for kind in ("float16", "bfloat16", "int8", "bool", "complex64"):
        lib(f"torch.ones(4, dtype=torch.{kind})", "x[1] = x[1] * 0", note=kind)
    lib(
        "torch.tensor([1.0, 2.0], requires_grad=True)",
        "(x * 3).sum().backward()",
        "torch.equal(a, b) and str(a.grad) == str(b.grad)",
        note="with a gradient",
    )
    lib(
        "import numpy as np\narray = np.arange(4.0)\nx = torch.from_numpy(array)",
        "array[0] = 7",
        keeps="x[0] == array[0] == 7",
        note="over a NumPy array",
    )
    lib("torch.eye(3).to_sparse()", "x.mul_(3)", "torch.equal(a.to_dense(), b.to_dense())", note="sparse")
    lib("nn.Parameter(torch.ones(3))", "x.data[0] = 5; x.requires_grad = False")
    lib(
        "torch.Generator().manual_seed(4)",
        "torch.rand(3, generator=x)",
        "torch.equal(a.get_state(), b.get_state())",
    )
    for make in (
        "nn.Linear(3, 2)", "nn.Conv1d(1, 2, 3)", "nn.Embedding(4, 2)", "nn.LSTM(2, 3)", "nn.BatchNorm1d(3)",
        "nn.LayerNorm(3)", "nn.MultiheadAttention(4, 2)", "nn.TransformerEncoderLayer(4, 2, 8)",
        "nn.Sequential(nn.Linear(2, 2), nn.ReLU())", "nn.ModuleList([nn.Linear(2, 2)])",
        "nn.ModuleDict({'a': nn.Linear(2, 2)})", "nn.ParameterList([torch.ones(2)])",
    ):  # fmt: skip
        lib(
            f"torch.manual_seed(1)\nx = {make}",
            "with torch.no_grad():\n  for p in x.parameters(): p.add_(1)",
            "states(a, b)",
        )
    lib(
        "class Net(nn.Module):\n  def __init__(self):\n    super().__init__()\n    self.layer = nn.Linear(2, 1)\n"
        "  def forward(self, v): return self.layer(v).tanh()\ntorch.manual_seed(1)\nx = Net()",
        "x.eval(); x.layer.bias.data[0] = 3",
        "states(a, b) and a.training == b.training and torch.equal(a(torch.ones(2)), b(torch.ones(2)))",
        note="module of the notebook",
    )
    train = "torch.manual_seed(1)\nmodel = nn.Linear(2, 1)\n"
    step = "model(torch.ones(2)).sum().backward(); {}.step()"
    for kind in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"):
        momentum = ", momentum=0.9" if kind == "SGD" else ""
        lib(
            f"{train}x = torch.optim.{kind}(model.parameters(), lr=0.1{momentum})",
            step.format("x"),
            "states(a, b)",
            keeps="x.param_groups[0]['params'][0] is model.weight",
        )
    lib(
        f"{train}optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\nx = torch.optim.lr_scheduler.StepLR(optimizer, 1)",
        step.format("optimizer") + "; x.step()",
        "states(a, b)",
        keeps="x.optimizer is optimizer",
    )
    lib("x = TensorDataset(torch.arange(4.0))", "x.tensors[0][1] = 9", "torch.equal(a[1][0], b[1][0])")
    lib(
        "x = DataLoader(TensorDataset(torch.arange(4.0)), batch_size=2)",
        "x.dataset.tensors[0][1] = 9",
        "str(list(a)) == str(list(b))",
    )
    lib("torch.utils.data.Subset([1, 2, 3], [0])", "x.indices.append(1)", "list(a) == list(b)")
    lib("torch.distributions.Normal(torch.zeros(2), 1.0)", "x.loc[0] = 4", "torch.equal(a.mean, b.mean)")
    lib("nn.CrossEntropyLoss(weight=torch.ones(2))", "x.weight[0] = 4", "states(a, b)")
    lib.fixed("torch.Size([1, 2])", "torch.Size([3])", "a == b and type(a) is type(b)")
    lib.fixed("torch.device('cpu')", "torch.device('meta')", "a == b")
    lib.fixed("torch.float32", "torch.int8", "a is b")


tensors()
LIBRARIES = (TORCH,)
