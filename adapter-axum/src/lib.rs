//! Mounts a phoenix-server endpoint in an axum app.
