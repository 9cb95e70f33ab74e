//! The server machine, told as dialogues with a client on one side and channels on the other (protocol §9).

mod batches;
mod bench;
mod closing;
mod ends;
mod joins;
mod limits;
mod messages;
mod model;
mod replacing;
mod time;
