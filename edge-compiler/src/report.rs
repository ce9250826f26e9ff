//! What an image holds, in words and for scripts.
