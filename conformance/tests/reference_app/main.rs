//! The reference application on every adapter, each in a process of its own: the state of the application belongs to
//! the process, and some recordings stop it.

mod dialogue;
mod dialogues;
mod recordings;
mod server;
