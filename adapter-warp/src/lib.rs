//! Mounts a phoenix-server endpoint in a warp app.
