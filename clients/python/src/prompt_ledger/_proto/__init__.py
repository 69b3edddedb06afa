"""Generated from `proto/` by `generate.py`. Do not edit."""
