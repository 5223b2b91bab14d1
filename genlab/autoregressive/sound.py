"""Sound to learn from and to listen to: plucked strings, and a player in the page."""

import base64
import html
import io
import wave
from dataclasses import dataclass

import torch
from scipy.signal import lfilter
from torch import Generator, Tensor

from genlab.em.kmeans import count

__all__ = ["Sound", "plucked"]


def plucked(
    period: int, samples: int, *, decay: float = 0.998, generator: Generator | None = None
) -> Tensor:
    """A plucked string: noise that goes round in a loop and is averaged each time.

    .. math:: y_t = \\tfrac{\\rho}{2} (y_{t-N} + y_{t-N-1}) \\text{ for } t \\ge N,
              \\qquad y_0, \\dots, y_{N-1} \\text{ noise}

    The string repeats itself after N + ½ samples, so the pitch is rate / (N + ½). A harmonic of
    frequency f loses a factor ρ cos(π f / rate) each time: high ones die away first. The noise is
    uniform, shifted to the mean 0, which would never die away, and scaled to the greatest value 1.

    Args:
        period: N, at least 2.
        samples: length of the sound, more than N.
        decay: ρ, above 0 and at most 1.
        generator: source of the noise.

    Returns:
        ``[samples]`` in [−1, 1], float32.

    Raises:
        ValueError: a period below 2, no more samples than it has, or a decay outside (0, 1].

    Source: Karplus and Strong 1983, Computer Music Journal 7(2), 43; Jaffe and Smith 1983, same
        issue, 56.

    Example: a string of 8000 / 18.5 = 432 Hz.
        >>> sound = plucked(18, 8000, generator=torch.Generator().manual_seed(0))
        >>> spectrum = torch.fft.rfft(sound[4000:]).abs()
        >>> int(spectrum.argmax()) * 2  # cells of 2 Hz
        432
    """
    if not 1 < count(period, "period") < count(samples, "samples"):
        raise ValueError(
            f"Expected a period of 2 or more, and more samples than that, got {period} and "
            f"{samples}."
        )
    if not 0 < decay <= 1:
        raise ValueError(f"Expected a decay above 0 and at most 1, got {decay!r}.")
    first = torch.rand(period, generator=generator, dtype=torch.float64)
    first = first - first.mean()
    noise = torch.zeros(samples, dtype=torch.float64)
    noise[:period] = first / first.abs().max()
    loop = torch.zeros(period + 2, dtype=torch.float64)
    loop[0], loop[period:] = 1.0, -decay / 2
    return torch.from_numpy(lfilter([1.0], loop.numpy(), noise.numpy())).float()


@dataclass(frozen=True, eq=False, repr=False)
class Sound:
    """A sound that the reader can play: on the page, in a notebook, without a network.

    Args:
        signal: ``[samples]`` in [−1, 1].
        rate: samples a second.
        alt: what is to be heard, for those who cannot.

    Raises:
        ValueError: no samples, more than one row, or values outside [−1, 1]; no words.

    Example:
        >>> Sound(plucked(18, 4000), 8000, alt="a plucked string")
        Sound(0.50 s at 8000 Hz: a plucked string)
    """

    signal: Tensor
    rate: int
    alt: str

    def __post_init__(self) -> None:
        count(self.rate, "rate")
        signal = self.signal
        if signal.ndim != 1 or not len(signal) or not (signal.abs() <= 1).all():
            raise ValueError(
                f"Expected one row of samples in [-1, 1], got shape {tuple(signal.shape)}. "
                "Divide by the largest absolute value; join several by torch.cat."
            )
        if not self.alt.strip():
            raise ValueError('Expected alt="…", what is to be heard, for those who cannot.')

    def __repr__(self) -> str:
        return f"Sound({len(self.signal) / self.rate:.2f} s at {self.rate} Hz: {self.alt})"

    def wav(self) -> bytes:
        """The file: one channel, 16 bits a sample."""
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(self.rate)
            out.writeframes((self.signal * 32767).round().short().numpy().astype("<i2").tobytes())
        return file.getvalue()

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.wav()).decode("ascii")
        return (
            f'<audio controls aria-label="{html.escape(self.alt)}" '
            f'src="data:audio/wav;base64,{data}"></audio>'
        )
