//! Mounts a phoenix-server endpoint in an actix-web app.
