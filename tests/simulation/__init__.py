"""Thirty days of ordinary traffic through the shipped rules, and through the rules as the requirements print them."""
