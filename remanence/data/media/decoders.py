"""Which decoders a child may run, by name; a name that is not here runs nothing."""

from __future__ import annotations

from remanence.data.media.wire import Decode

__all__ = ["decoder"]


def decoder(name: str) -> Decode:
    """The decoder of a name; its libraries are loaded here, in the child."""
    if name == "audio":
        from remanence.data.media.audio import decode_audio

        return decode_audio
    if name == "video":
        from remanence.data.media.video import decode_video

        return decode_video
    raise ValueError(f"no decoder '{name}'")
