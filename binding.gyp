# The build of the addon, build/Release/mgmd.node, and of its tests. CMakeLists.txt builds the same from the same source list.
{
  "includes": ["native/sources.gypi"],
  "target_defaults": {
    "cflags": ["-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter"],
    "cflags_cc!": ["-std=gnu++17"],
    "cflags_cc": ["-std=c++20"],
  },
  "targets": [
    {
      "target_name": "mgmd",
      "sources": ["<@(core_sources)", "<@(addon_sources)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS"],
    },
    {
      # The plain C++ layer alone, without Node: `npm test` builds and runs it.
      "target_name": "native_tests",
      "type": "executable",
      "product_extension": "",
      "sources": ["<@(core_sources)", "<!@(ls native/tests/*.cc)"],
      # For quotes only: native/poll.h must not stand in for the system's <poll.h>.
      "cflags_cc": ["-iquote", "<(module_root_dir)/native"],
    },
  ],
}
