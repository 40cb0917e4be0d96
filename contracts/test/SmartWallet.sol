// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A wallet for the tests: a contract whose owner signs for it (ERC-1271)
/// @notice `answer` replaces the magic value, for wallets that refuse or speak gibberish; 0 leaves the rule in force.
contract SmartWallet is IERC1271 {
    address private immutable _owner;
    bytes4 public answer;

    constructor(address owner) {
        _owner = owner;
    }

    function setAnswer(bytes4 answer_) external {
        answer = answer_;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (answer != 0) return answer;
        (address recovered,,) = ECDSA.tryRecoverCalldata(hash, signature);
        return recovered == _owner ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
