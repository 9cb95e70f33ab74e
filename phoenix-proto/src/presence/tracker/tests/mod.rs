mod hostile;
mod local;
mod network;
mod transfers;
