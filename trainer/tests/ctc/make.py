"""Losses of transcripts and their gradients, by PyTorch: python make.py > golden.json (torch 2.9 or later)."""

import json

import torch

torch.manual_seed(5)
cases = []
# Steps of each sequence, classes, transcripts: repeats, nothing at all, as many tokens as steps, and far below the smallest float.
for lengths, classes, transcripts, scale in [
    ([5], 3, [[1, 2]], 1.0),
    ([6, 4], 4, [[1, 1, 2], [3]], 1.0),
    ([7, 3, 5], 5, [[4, 4, 4], [], [1, 2, 3, 4, 1]], 2.0),
    ([400, 390], 3, [[1, 2] * 40, [2]], 3.0),
]:
    steps = max(lengths)
    logits = (scale * torch.randn(steps, len(lengths), classes)).double()
    logits = ((logits * 1e3).round() / 1e3).requires_grad_()
    loss = torch.nn.functional.ctc_loss(
        logits.log_softmax(2),
        torch.tensor([token for tokens in transcripts for token in tokens]),
        torch.tensor(lengths),
        torch.tensor([len(tokens) for tokens in transcripts]),
        reduction="sum",
    )
    loss.backward()
    # Of the long ones a number in a hundred.
    every = 1 if steps < 100 else 101
    cases.append(
        {
            "lengths": lengths,
            "transcripts": transcripts,
            "classes": classes,
            "logits": [round(x, 3) for x in logits.detach().flatten().tolist()],
            "loss": loss.item(),
            "every": every,
            "gradient": logits.grad.flatten().tolist()[::every],
        }
    )
print(json.dumps(cases))
