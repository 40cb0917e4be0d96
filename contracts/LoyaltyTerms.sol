// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ILoyalty} from "./ILoyalty.sol";

/// @title Programme terms with notice
/// @notice Terms are announced on chain before they take effect and can neither be withdrawn nor overtaken.
abstract contract LoyaltyTerms is ILoyalty, AccessControlDefaultAdminRules {
    struct Terms {
        bytes32 termsHash;
        uint64 effectiveAt;
        string uri;
    }

    /// @notice Least seconds between the announcement of terms and their effect; fixed for the contract's life.
    uint32 public immutable noticePeriod;

    Terms[] private _terms;

    constructor(uint32 noticePeriod_) {
        noticePeriod = noticePeriod_;
    }

    /// @notice Announces the next version of the terms. Only the default admin.
    /// @param termsHash keccak-256 of the document
    /// @param uri where the document can be read
    /// @param effectiveAt Unix second from which the terms hold: not before the notice period has run, and not
    /// before the terms announced earlier. Reverts with LoyaltyNotice(earliest, given).
    function publishTerms(bytes32 termsHash, string calldata uri, uint64 effectiveAt)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
    {
        uint256 earliest = block.timestamp + noticePeriod;
        uint256 count = _terms.length;
        if (count != 0 && _terms[count - 1].effectiveAt > earliest) earliest = _terms[count - 1].effectiveAt;
        require(effectiveAt >= earliest, LoyaltyNotice(earliest, effectiveAt));
        _terms.push(Terms(termsHash, effectiveAt, uri));
        emit TermsPublished(SafeCast.toUint64(count + 1), termsHash, effectiveAt, uri);
    }

    /// @notice How many versions were announced, including those not yet in effect.
    function termsCount() external view returns (uint64) {
        return SafeCast.toUint64(_terms.length);
    }

    /// @notice One version of the terms; versions count from 1. Reverts with LoyaltyTermsUnknown(version).
    function termsAt(uint64 version)
        external
        view
        returns (bytes32 termsHash, uint64 effectiveAt, string memory uri)
    {
        require(version != 0 && version <= _terms.length, LoyaltyTermsUnknown(version));
        Terms storage terms = _terms[version - 1];
        return (terms.termsHash, terms.effectiveAt, terms.uri);
    }
}
