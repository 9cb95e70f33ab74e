//! Sockets without channels (FEATURES C3–C14, C21, G8).

mod app;
mod callbacks;
mod ending;
mod mounting;
mod order;
