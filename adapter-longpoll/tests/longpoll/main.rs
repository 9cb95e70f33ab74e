//! Long polling without a network, in virtual time.

mod lost;
mod posts;
mod raw;
mod relay;
mod requests;
mod sessions;
mod support;
