//! Mails as people read them, and what no mail may ever do.

mod hostile;
mod look;
mod said;
mod sample;
