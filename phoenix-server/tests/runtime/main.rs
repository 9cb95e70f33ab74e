//! Whole connections in memory and in virtual time: what a client sends, what it gets, and when.

mod callbacks;
mod isolation;
mod joins;
mod ordering;
mod support;
mod websocket;
