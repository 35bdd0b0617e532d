#!/usr/bin/env python3
"""Log-mel energies as librosa has them, in 64 bits: python make.py > golden.txt (librosa 0.11).

Of each case a line of settings (rate, frame, hop, bands, low, high), then a line for each frame. The sound is a sawtooth that sweeps, louder
and louder, in whole numbers, as `sound` in ../audio.rs has it.
"""

import librosa
import numpy as np

for rate, frame, hop, bands, low, high in [
    (8000, 256, 160, 24, 60, 4000),
    (8000, 64, 100, 8, 100, 3500),
    (16000, 512, 160, 40, 20, 7600),
    (16000, 1024, 512, 64, 0, 8000),
    (44100, 2048, 1024, 128, 50, 16000),
]:
    n = np.arange(frame + 3 * hop, dtype=np.int64)
    sound = ((n * n * 3 + n * 200) % 65536 - 32768) * (n % 1000) / 32768 / 1000
    energies = librosa.feature.melspectrogram(
        y=sound,
        sr=rate,
        n_fft=frame,
        hop_length=hop,
        center=False,
        n_mels=bands,
        fmin=low,
        fmax=high,
        htk=True,
        norm=None,
        dtype=np.float64,
    )
    print(rate, frame, hop, bands, low, high)
    for row in np.log(np.maximum(energies, 1e-6)).T:
        print(*(f"{x:.5f}" for x in row))
