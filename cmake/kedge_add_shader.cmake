# kedge_add_shader(): compiles shaders/*.comp to SPIR-V. Filled by the Vulkan backend.
