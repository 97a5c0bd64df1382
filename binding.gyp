# The default build of the addon: build/Release/mgmd.node. CMakeLists.txt builds the same from the same source list.
{
  "includes": ["native/sources.gypi"],
  "targets": [
    {
      "target_name": "mgmd",
      "sources": ["<@(core_sources)", "<@(addon_sources)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS"],
      "cflags": ["-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter"],
      "cflags_cc!": ["-std=gnu++17"],
      "cflags_cc": ["-std=c++20"],
    }
  ]
}
