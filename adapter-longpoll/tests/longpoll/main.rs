//! Long polling without a network, in virtual time.

mod lost;
mod posts;
mod relay;
mod requests;
mod sessions;
mod support;
