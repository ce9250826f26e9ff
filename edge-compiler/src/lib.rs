//! Graph, passes, memory plan, proofs and the writer of Dunlin model images.
