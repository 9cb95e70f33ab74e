mod local;
mod network;
mod transfers;
