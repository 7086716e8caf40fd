"""Vivify's engine: sound in, frames out. It knows nothing of sockets or asyncio."""
