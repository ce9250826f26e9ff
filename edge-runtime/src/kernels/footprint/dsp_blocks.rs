//! What the convolutions and fully connected layers of the DSP extension can run and need, see
//! [`crate::kernels::packing::dsp_blocks`].

pub use crate::kernels::packing::dsp_panels::{
    conv_2d_scratch_len as scratch_len, fits, fully_connected_scratch_len,
};
