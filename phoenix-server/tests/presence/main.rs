//! Presence without connections: owners, hooks, and several nodes in virtual time (FEATURES J, L; protocol §17, §18).

mod cluster;
mod hooks;
mod local;
mod simulation;
mod support;
