"""Kept results between two platforms that share nothing."""
