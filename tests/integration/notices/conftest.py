from support.telling import clock, told, told_here

__all__ = ["clock", "told", "told_here"]
