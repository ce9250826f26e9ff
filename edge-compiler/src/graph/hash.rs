//! The canonical form of a graph and its hash.

use sha2::{Digest, Sha256};

use super::Graph;

/// SHA-256 of the graph as JSON without what only people read: serde writes every field in the
/// order of its declaration and every `f32` with the fewest digits that give it back, so that two
/// graphs have the same text only if they are the same.
pub(super) fn hash(graph: &Graph) -> [u8; 32] {
    let mut canonical = graph.clone();
    for tensor in &mut canonical.tensors {
        tensor.name.clear();
    }
    for operator in &mut canonical.operators {
        operator.source = None;
    }
    let mut hash = Sha256::new();
    hash.update(b"dunlin graph 2\0");
    // Cannot fail: no map with keys that are not strings, and no writer.
    if let Ok(text) = serde_json::to_vec(&canonical) {
        hash.update(text);
    }
    hash.finalize().into()
}
