#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace margay::api::test {

/// Signs `directory`/server.pem anew, of a `Certificates`, valid from `start` to `end`
/// ("20200101000000Z").
inline void signServer(const std::string& directory, const std::string& start,
                       const std::string& end) {
  std::ofstream(directory + "/index.txt");
  std::ofstream(directory + "/serial") << "01\n";
  std::ofstream(directory + "/ca.cnf")
      << "[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\n"
         "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n";
  const std::string line =
      "cd " + directory +
      " && openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in server.csr -out "
      "server.pem -extfile extensions -notext -startdate " +
      start + " -enddate " + end + " 2>/dev/null";
  if (std::system(line.c_str()) != 0) ADD_FAILURE() << line;  // NOLINT(cert-env33-c)
}

}  // namespace margay::api::test
