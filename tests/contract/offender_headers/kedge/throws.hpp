#pragma once
inline void throws() { throw 1; }
