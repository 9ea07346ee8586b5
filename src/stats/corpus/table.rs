//! How often series of the corpus are called growing: the table by which the statistics are judged.
