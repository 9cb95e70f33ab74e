//! The frameworks: each mounts the endpoint and hands what is left to the control routes.

pub(super) mod actix;
pub(super) mod axum;
pub(super) mod warp;
