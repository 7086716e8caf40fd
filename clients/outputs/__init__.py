"""Home of ways out of the browser: cameras, microphones, apps, streams (docs/architecture.md); none is built yet."""
