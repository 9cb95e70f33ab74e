//! Whole connections in memory and in virtual time: what a client sends, what it gets, and when.

mod backpressure;
mod callbacks;
mod closing;
mod endpoint;
mod isolation;
mod joins;
mod options;
mod ordering;
mod presence;
mod pubsub;
mod raw;
mod support;
mod websocket;
